import type { ColumnType } from 'kysely'

// pg returns a bigint as text, since a JavaScript number cannot hold it. Writes accept both.
type Id = ColumnType<string, string | number | undefined, string | number>
type Reference = ColumnType<string, string | number, string | number>
type NullableReference = ColumnType<
  string | null,
  string | number | null | undefined,
  string | number | null
>

type Time = Date | string
type Timestamp = ColumnType<Date, Time, Time>
type NullableTimestamp = ColumnType<Date | null, Time | null | undefined, Time | null>

// pg converts a date to midnight in the process's time zone; responses use dates formatted by SQL.
type CalendarDate = Timestamp
type NullableCalendarDate = NullableTimestamp

// Columns with a default in our migrations are required on insert too: an SPMS database that Django
// created has no defaults, so every write sets every column.
interface Timestamps {
  readonly created_at: Timestamp
  readonly updated_at: Timestamp
}

interface UserTable {
  readonly id: Id
  readonly password: string
  readonly last_login: NullableTimestamp
  readonly is_superuser: boolean
  readonly is_staff: boolean
  readonly is_active: boolean
  readonly date_joined: Timestamp
  readonly username: string
  readonly first_name: string | null
  readonly last_name: string | null
  readonly email: string | null
  readonly old_pk: NullableReference
  readonly display_first_name: string | null
  readonly display_last_name: string | null
  readonly is_aec: boolean
}

interface UserGroupTable {
  readonly id: Id
  readonly user_id: Reference
  readonly group_id: number
}

interface UserPermissionTable {
  readonly id: Id
  readonly user_id: Reference
  readonly permission_id: number
}

interface UserWorkTable extends Timestamps {
  readonly id: Id
  readonly user_id: Reference
  readonly agency_id: NullableReference
  readonly branch_id: NullableReference
  readonly business_area_id: NullableReference
  readonly affiliation_id: NullableReference
  readonly role: string | null
}

interface UserProfileTable extends Timestamps {
  readonly id: Id
  readonly user_id: Reference
  readonly image_id: NullableReference
  readonly title: string | null
  readonly middle_initials: string | null
}

interface PublicStaffProfileTable extends Timestamps {
  readonly id: Id
  readonly user_id: Reference
  readonly is_hidden: boolean
  readonly about: string | null
  readonly expertise: string | null
  readonly title: string | null
  readonly public_email: string | null
  readonly public_email_on: boolean
  readonly custom_title: string | null
  readonly custom_title_on: boolean
  readonly it_asset_id: number | null
  readonly employee_id: string | null
  readonly aucode: string | null
}

interface PublicStaffProfileKeywordTagTable {
  readonly id: Id
  readonly publicstaffprofile_id: Reference
  readonly keywordtag_id: Reference
}

interface KeywordTagTable {
  readonly id: Id
  readonly name: string
}

interface EmploymentEntryTable {
  readonly id: Id
  readonly public_profile_id: Reference
  readonly position_title: string
  readonly start_year: number
  readonly end_year: number | null
  readonly section: string | null
  readonly employer: string | null
}

interface EducationEntryTable {
  readonly id: Id
  readonly public_profile_id: Reference
  readonly qualification_name: string
  readonly end_year: number
  readonly institution: string
  readonly location: string
}

interface DoiPublicationTable extends Timestamps {
  readonly id: Id
  readonly user_id: Reference
  readonly doi: string
}

interface AffiliationTable extends Timestamps {
  readonly id: Id
  readonly name: string
}

interface AgencyTable extends Timestamps {
  readonly id: Id
  readonly name: string
  readonly key_stakeholder_id: NullableReference
  readonly is_active: boolean
}

interface BranchTable extends Timestamps {
  readonly id: Id
  readonly agency_id: NullableReference
  readonly name: string
  readonly manager_id: NullableReference
}

interface DivisionTable extends Timestamps {
  readonly id: Id
  readonly name: string
  readonly slug: string
  readonly director_id: NullableReference
  readonly approver_id: NullableReference
}

interface DivisionDirectorateEmailListTable {
  readonly id: Id
  readonly division_id: Reference
  readonly user_id: Reference
}

interface BusinessAreaTable extends Timestamps {
  readonly id: Id
  readonly agency_id: Reference
  readonly name: string
  readonly slug: string | null
  readonly division_id: NullableReference
  readonly published: boolean
  readonly is_active: boolean
  readonly leader_id: NullableReference
  readonly finance_admin_id: NullableReference
  readonly data_custodian_id: NullableReference
  readonly caretaker_id: NullableReference
  readonly cost_center: number | null
  readonly old_leader_id: number | null
  readonly old_finance_admin_id: number | null
  readonly old_data_custodian_id: number | null
  readonly focus: string | null
  readonly introduction: string | null
}

interface DepartmentalServiceTable extends Timestamps {
  readonly id: Id
  readonly name: string
  readonly director_id: NullableReference
}

interface ProjectTable extends Timestamps {
  readonly id: Id
  readonly kind: string | null
  readonly status: string
  readonly year: number
  readonly number: number
  readonly title: string
  readonly description: string | null
  readonly tagline: string | null
  readonly keywords: string | null
  readonly start_date: NullableCalendarDate
  readonly end_date: NullableCalendarDate
  readonly business_area_id: NullableReference
  readonly deletion_requested: boolean
  /** Ids of users, without a foreign key. */
  readonly hidden_from_staff_profiles: number[]
}

interface ProjectDetailTable extends Timestamps {
  readonly id: Id
  readonly project_id: Reference
  readonly creator_id: NullableReference
  readonly modifier_id: NullableReference
  readonly owner_id: NullableReference
  readonly data_custodian_id: NullableReference
  readonly site_custodian_id: NullableReference
  readonly service_id: NullableReference
  readonly old_output_program_id: NullableReference
}

interface ProjectAreaTable extends Timestamps {
  readonly id: Id
  readonly project_id: Reference
  /** Ids of `locations_area`, without a foreign key. */
  readonly areas: number[]
}

interface ProjectMemberTable extends Timestamps {
  readonly id: Id
  readonly project_id: Reference
  readonly user_id: Reference
  readonly is_leader: boolean
  readonly role: string
  readonly time_allocation: number | null
  readonly position: number | null
  readonly short_code: string | null
  readonly comments: string | null
}

interface StudentProjectDetailsTable {
  readonly id: Id
  readonly project_id: Reference
  readonly level: string | null
  readonly organisation: string | null
}

interface ExternalProjectDetailsTable {
  readonly id: Id
  readonly project_id: Reference
  readonly collaboration_with: string | null
  readonly budget: string | null
  readonly description: string | null
  readonly aims: string | null
}

interface ProjectDocumentTable extends Timestamps {
  readonly id: Id
  readonly project_id: Reference
  readonly creator_id: NullableReference
  readonly modifier_id: NullableReference
  readonly kind: string | null
  readonly status: string
  readonly project_lead_approval_granted: boolean
  readonly business_area_lead_approval_granted: boolean
  readonly directorate_approval_granted: boolean
  readonly pdf_generation_in_progress: boolean
}

interface ConceptPlanTable {
  readonly id: Id
  readonly document_id: Reference
  readonly project_id: Reference
  readonly background: string | null
  readonly aims: string | null
  readonly outcome: string | null
  readonly collaborations: string | null
  readonly strategic_context: string | null
  readonly staff_time_allocation: string | null
  readonly budget: string | null
}

interface ProjectPlanTable {
  readonly id: Id
  readonly document_id: Reference
  readonly project_id: Reference
  readonly background: string | null
  readonly aims: string | null
  readonly outcome: string | null
  readonly knowledge_transfer: string | null
  readonly project_tasks: string | null
  readonly listed_references: string | null
  readonly methodology: string | null
  readonly operating_budget: string | null
  readonly operating_budget_external: string | null
  readonly related_projects: string | null
}

interface ProgressReportTable {
  readonly id: Id
  readonly document_id: Reference
  readonly project_id: Reference
  readonly report_id: Reference
  readonly year: number
  readonly is_final_report: boolean
  readonly context: string | null
  readonly aims: string | null
  readonly progress: string | null
  readonly implications: string | null
  readonly future: string | null
}

interface StudentReportTable {
  readonly id: Id
  readonly document_id: Reference
  readonly project_id: Reference
  readonly report_id: NullableReference
  readonly progress_report: string | null
  readonly year: number
}

interface ProjectClosureTable {
  readonly id: Id
  readonly document_id: Reference
  readonly project_id: Reference
  readonly intended_outcome: string | null
  readonly reason: string | null
  readonly scientific_outputs: string | null
  readonly knowledge_transfer: string | null
  readonly data_location: string | null
  readonly hardcopy_location: string | null
  readonly backup_location: string | null
}

interface EndorsementTable {
  readonly id: Id
  readonly project_plan_id: Reference
  readonly ae_endorsement_required: boolean
  readonly ae_endorsement_provided: boolean
  readonly no_specimens: string | null
  readonly data_management: string | null
}

interface AnnualReportTable extends Timestamps {
  readonly id: Id
  readonly creator_id: NullableReference
  readonly modifier_id: NullableReference
  readonly year: number
  readonly dm: string | null
  readonly dm_sign: string | null
  readonly service_delivery_intro: string | null
  readonly research_intro: string | null
  readonly student_intro: string | null
  readonly publications: string | null
  readonly date_open: CalendarDate
  readonly date_closed: CalendarDate
  readonly pdf_generation_in_progress: boolean
  readonly is_published: boolean
}

interface CustomPublicationTable {
  readonly id: Id
  readonly public_profile_id: Reference
  readonly year: number
  readonly title: string
}

interface MediaTable extends Timestamps {
  readonly id: Id
  /** A path below the media root. */
  readonly file: string | null
  /** In bytes. */
  readonly size: number
}

interface UserAvatarTable extends MediaTable {
  readonly user_id: Reference
}

interface ProjectPhotoTable extends MediaTable {
  readonly project_id: Reference
  readonly uploader_id: NullableReference
}

interface BusinessAreaPhotoTable extends MediaTable {
  readonly business_area_id: Reference
  readonly uploader_id: NullableReference
}

interface AgencyImageTable extends Omit<MediaTable, 'file'> {
  readonly file: string
  readonly agency_id: Reference
}

interface ProjectDocumentPdfTable extends MediaTable {
  readonly document_id: Reference
  readonly project_id: Reference
}

interface MethodologyPhotoTable extends MediaTable {
  readonly project_plan_id: Reference
  readonly uploader_id: NullableReference
}

interface AecEndorsementPdfTable extends MediaTable {
  readonly endorsement_id: Reference
  readonly creator_id: NullableReference
}

interface AreaTable extends Timestamps {
  readonly id: Id
  readonly name: string
  readonly area_type: string
}

interface UserContactTable extends Timestamps {
  readonly id: Id
  readonly user_id: Reference
  readonly email: string | null
  readonly phone: string | null
  readonly alt_phone: string | null
  readonly fax: string | null
}

interface AddressTable extends Timestamps {
  readonly id: Id
  readonly agency_id: NullableReference
  readonly branch_id: NullableReference
  readonly street: string
  readonly suburb: string | null
  readonly city: string
  readonly zipcode: number
  readonly state: string
  readonly country: string
  readonly pobox: string | null
}

interface CaretakerTable extends Timestamps {
  readonly id: Id
  /** The covered user. */
  readonly user_id: Reference
  /** The user who acts for the covered user. */
  readonly caretaker_id: Reference
  readonly end_date: NullableTimestamp
  readonly reason: string | null
  readonly notes: string | null
}

interface AdminTaskTable extends Timestamps {
  readonly id: Id
  readonly action: string
  readonly status: string
  readonly project_id: NullableReference
  readonly requester_id: NullableReference
  readonly primary_user_id: NullableReference
  /** Ids of users, without a foreign key; written as JSON text, since pg sends an array as `{}`. */
  readonly secondary_users: ColumnType<number[] | null, string | null | undefined, string | null>
  readonly reason: string | null
  readonly start_date: NullableTimestamp
  readonly end_date: NullableTimestamp
  readonly notes: string | null
}

interface CommentTable extends Timestamps {
  readonly id: Id
  readonly user_id: NullableReference
  readonly document_id: Reference
  readonly text: string
  readonly ip_address: string | null
  readonly is_public: boolean
  readonly is_removed: boolean
}

interface ReactionTable extends Timestamps {
  readonly id: Id
  readonly user_id: Reference
  readonly comment_id: NullableReference
  readonly direct_message_id: NullableReference
  readonly reaction: string
}

interface ContentTypeTable {
  readonly id: number
  readonly app_label: string
  readonly model: string
}

interface PermissionTable {
  readonly id: number
  readonly name: string
  readonly content_type_id: number
  readonly codename: string
}

interface GroupTable {
  readonly id: number
  readonly name: string
}

interface GroupPermissionTable {
  readonly id: Id
  readonly group_id: number
  readonly permission_id: number
}

interface AdminLogTable {
  readonly id: number
  readonly action_time: Timestamp
  readonly object_id: string | null
  readonly object_repr: string
  readonly action_flag: number
  readonly change_message: string
  readonly content_type_id: number | null
  readonly user_id: Reference
}

interface SessionTable {
  readonly session_key: string
  readonly session_data: string
  readonly expire_date: Timestamp
}

/** The tables of SPMS, with the table and column names of Django. */
export interface Database {
  readonly adminoptions_admintask: AdminTaskTable
  readonly agencies_affiliation: AffiliationTable
  readonly agencies_agency: AgencyTable
  readonly agencies_branch: BranchTable
  readonly agencies_businessarea: BusinessAreaTable
  readonly agencies_departmentalservice: DepartmentalServiceTable
  readonly agencies_division: DivisionTable
  readonly agencies_division_directorate_email_list: DivisionDirectorateEmailListTable
  readonly auth_group: GroupTable
  readonly auth_group_permissions: GroupPermissionTable
  readonly auth_permission: PermissionTable
  readonly caretakers_caretaker: CaretakerTable
  readonly communications_comment: CommentTable
  readonly communications_reaction: ReactionTable
  readonly contacts_address: AddressTable
  readonly contacts_usercontact: UserContactTable
  readonly django_admin_log: AdminLogTable
  readonly django_content_type: ContentTypeTable
  readonly django_session: SessionTable
  readonly documents_annualreport: AnnualReportTable
  readonly documents_conceptplan: ConceptPlanTable
  readonly documents_custompublication: CustomPublicationTable
  readonly documents_endorsement: EndorsementTable
  readonly documents_progressreport: ProgressReportTable
  readonly documents_projectclosure: ProjectClosureTable
  readonly documents_projectdocument: ProjectDocumentTable
  readonly documents_projectplan: ProjectPlanTable
  readonly documents_studentreport: StudentReportTable
  readonly locations_area: AreaTable
  readonly medias_aecendorsementpdf: AecEndorsementPdfTable
  readonly medias_agencyimage: AgencyImageTable
  readonly medias_businessareaphoto: BusinessAreaPhotoTable
  readonly medias_projectdocumentpdf: ProjectDocumentPdfTable
  readonly medias_projectphoto: ProjectPhotoTable
  readonly medias_projectplanmethodologyphoto: MethodologyPhotoTable
  readonly medias_useravatar: UserAvatarTable
  readonly projects_externalprojectdetails: ExternalProjectDetailsTable
  readonly projects_project: ProjectTable
  readonly projects_projectarea: ProjectAreaTable
  readonly projects_projectdetail: ProjectDetailTable
  readonly projects_projectmember: ProjectMemberTable
  readonly projects_studentprojectdetails: StudentProjectDetailsTable
  readonly users_doipublication: DoiPublicationTable
  readonly users_educationentry: EducationEntryTable
  readonly users_employmententry: EmploymentEntryTable
  readonly users_keywordtag: KeywordTagTable
  readonly users_publicstaffprofile: PublicStaffProfileTable
  readonly users_publicstaffprofile_keyword_tags: PublicStaffProfileKeywordTagTable
  readonly users_user: UserTable
  readonly users_user_groups: UserGroupTable
  readonly users_user_user_permissions: UserPermissionTable
  readonly users_userprofile: UserProfileTable
  readonly users_userwork: UserWorkTable
}
